import { DeviceStore } from "../../server/store/device-store.ts";

// open-store.ts FOLDER: says whether the store there can be opened.

const opened = DeviceStore.open(process.argv[2] ?? "");
process.stdout.write(opened.ok ? "ok\n" : `${opened.error.code}: ${opened.error.message}\n`);
