/** What code prints by `console.log` while it runs. */
export async function printed(body: () => Promise<unknown>): Promise<string> {
  const { log } = console;
  let text = "";
  console.log = (line: string) => text += line + "\n";
  try {
    await body();
  } finally {
    console.log = log;
  }
  return text;
}
