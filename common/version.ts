/** The project's version, from its one place: deno.json. */

import config from "../deno.json" with { type: "json" };

/** Version of ChatGoT, such as `0.1.0`. */
export const VERSION: string = config.version;
