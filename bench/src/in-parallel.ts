/** Does `count` things, so many of them at a time, in order. */
export async function inParallel(count: number, inFlight: number, make: (at: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await make(next++);
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
}
