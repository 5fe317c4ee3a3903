import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Milliseconds of processor time of this thread that `work` takes, so that it does not matter what else the machine does: the median
 * of `runs`, after one that does not count.
 */
export function medianMs(runs: number, work: () => unknown): number {
  work();
  const times: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const start = process.threadCpuUsage();
    work();
    const { user, system } = process.threadCpuUsage(start);
    times.push((user + system) / 1000);
  }
  return medianOf(times);
}

/** @throws RangeError when there is none */
export function medianOf(values: readonly number[]): number {
  const middle = values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
  if (middle === undefined) throw new RangeError("there is no median of nothing");
  return middle;
}

/** Bytes of heap that what `make` returns holds on to. */
export function retainedBytes(make: () => unknown): number {
  const collect = garbageCollector();
  collect();
  const before = process.memoryUsage().heapUsed;
  const kept = make();
  collect();
  const bytes = process.memoryUsage().heapUsed - before;
  // Named again, so that it cannot be collected before it was measured.
  return kept === undefined ? 0 : bytes;
}

function garbageCollector(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}
