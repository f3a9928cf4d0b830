import { DeviceStore } from "../../server/store/device-store.ts";
import { BEGINNING, newDevice, newStore } from "./devices.ts";

// fill-store.ts FOLDER USER [COUNT]: adds devices of a user, each printed once it is stored, until one cannot be.

const [folder = "", user = "", count = "1000000"] = process.argv.slice(2);
const opened = DeviceStore.exists(folder)
  ? DeviceStore.open(folder)
  : { ok: true as const, value: newStore(folder) };
if (opened.ok) {
  for (let number = 0; number < Number(count); number++) {
    const added = opened.value.add(newDevice(`${user}/d${number}`), BEGINNING);
    process.stdout.write(added.ok ? `${user}/d${number}\n` : `${added.error.code}: ${added.error.message}\n`);
    if (!added.ok) break;
  }
  opened.value.close();
} else {
  process.stdout.write(`${opened.error.code}: ${opened.error.message}\n`);
}
