import { endianness } from "node:os";
import { define } from "./libc.ts";

/** What the kernel says of its own clock. */
export interface ClockState {
  /** Whether something keeps it right, such as chrony or systemd-timesyncd. */
  readonly synchronised: boolean;
  /** Seconds that it is yet to be corrected by. */
  readonly offset: number;
  /** Seconds that it may be off by at most, as far as the kernel knows. */
  readonly maxError: number;
}

/** TIME_ERROR and STA_UNSYNC, STA_NANO of sys/timex.h. */
const TIME_ERROR = 5;
const STA_UNSYNC = 0x40;
const STA_NANO = 0x2000;
/** sizeof(struct timex) where long has 64 bits: modes at 0, offset at 8, maxerror at 24, status at 40. */
const TIMEX_BYTES = 208;
const LITTLE = endianness() === "LE";

const adjtimex = define("int adjtimex(void *timex)");

/** adjtimex(2), reading alone. Undefined where the kernel does not tell. */
export function clockState(): ClockState | undefined {
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(TIMEX_BYTES).fill(0).buffer);
  const state = adjtimex(bytes);
  if (state < 0) return undefined;
  const view = new DataView(bytes.buffer);
  const status = view.getInt32(40, LITTLE);
  return {
    synchronised: state !== TIME_ERROR && (status & STA_UNSYNC) === 0,
    offset: Number(view.getBigInt64(8, LITTLE)) / ((status & STA_NANO) !== 0 ? 1e9 : 1e6),
    maxError: Number(view.getBigInt64(24, LITTLE)) / 1e6,
  };
}
