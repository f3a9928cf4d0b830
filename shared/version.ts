declare const TOCK_VERSION: string | undefined;

/** The version of this build, put in by the bundler from package.json. Run from source it is `0.0.0-source`. */
export const VERSION: string = typeof TOCK_VERSION === "string" ? TOCK_VERSION : "0.0.0-source";
