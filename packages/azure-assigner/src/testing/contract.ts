/** One thing that every implementation of a port does; `check` throws when it does not. Independent of any test runner. */
export interface ContractCase<T> {
  readonly name: string;
  readonly check: (subject: T) => Promise<void>;
}
