/** On a busy machine nothing has a time that can be foretold; a test that fails waits so long, none that passes does. */
const PATIENCE_MS = 80_000;

/** Waits until `check` stops throwing; in the end throws what it threw last. Looks often, because the condition is what is waited for, not time. */
export async function until<T>(check: () => Promise<T> | T, withinMs = PATIENCE_MS): Promise<T> {
  const end = Date.now() + withinMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => {
        setTimeout(resolve, 10);
      });
    }
  }
}
