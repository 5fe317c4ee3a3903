/** Runs tasks in order, at most `limit` at a time, all of them whatever fails. @returns what they threw */
export async function eachLimited(limit: number, tasks: Iterable<() => Promise<void>>): Promise<readonly unknown[]> {
  const errors: unknown[] = [];
  const iterator = tasks[Symbol.iterator]();
  const lane = async (): Promise<void> => {
    for (let next = iterator.next(); next.done !== true; next = iterator.next()) {
      try {
        await next.value();
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, lane));
  return errors;
}
