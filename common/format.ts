/** Numbers and times for people: bytes, durations, counts and moments in a few characters. */

/** Bytes in binary units: `512 B`, `1.5 KiB`, `128 MiB`. */
export function humanBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  return scaled(bytes, 1024, units, " ");
}

/** A count in thousands: `950`, `1.2k`, `86M`, `2.5B`. */
export function humanCount(count: number): string {
  return scaled(count, 1000, ["", "k", "M", "B", "T"], "");
}

/** Three digits of `value` with the unit that makes it at least 1 and less than `base`. */
function scaled(value: number, base: number, units: string[], space: string): string {
  if (!Number.isFinite(value)) return "?";
  let rest = Math.abs(value);
  let unit = 0;
  while (Math.round(rest) >= base && unit < units.length - 1) {
    rest /= base;
    unit++;
  }
  const digits = unit === 0 && Number.isInteger(rest) || rest >= 99.95 ? 0 : rest >= 9.995 ? 1 : 2;
  const number = String(Number(rest.toFixed(digits)));
  return `${value < 0 ? "-" : ""}${number}${space}${units[unit]}`;
}

/** Seconds as `0.35s`, `42s`, `3m 05s`, `2h 07m`, `3d 04h`; `?` for what is not finite. */
export function humanDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  if (seconds < 0) return `-${humanDuration(-seconds)}`;
  if (seconds < 9.995) return `${Number(seconds.toFixed(2))}s`;
  const whole = Math.round(seconds);
  const two = (n: number) => String(n).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}h ${two(Math.floor(whole / 60) % 60)}m`;
  return `${Math.floor(whole / 86400)}d ${two(Math.floor(whole / 3600) % 24)}h`;
}

/** A moment as names of folders and files carry it, in UTC: `20261124_120000`. */
export function timeStamp(time: Date): string {
  return time.toISOString().slice(0, 19).replace("T", "_").replace(/[-:]/g, "");
}
