import { jwtClaim } from "./token-answer.ts";
import type { TokenAnswer } from "./token-answer.ts";

/** Stands for a token that was handed out, without being it: the same object for every answer with that token. */
export class IssuedToken {
  readonly #answer: TokenAnswer;

  constructor(answer: TokenAnswer) {
    this.#answer = answer;
  }

  /** Entra's identifier of the token (`uti`), under which it is found in sign-in logs; undefined where there is none. */
  get id(): string | undefined {
    return jwtClaim(this.#answer.accessToken, "uti");
  }

  get correlationId(): string | undefined {
    return this.#answer.correlationId;
  }

  get expiresOnSeconds(): number | undefined {
    return this.#answer.expiresOnSeconds;
  }
}

const issued = new WeakMap<TokenAnswer, IssuedToken>();

export function issuedToken(answer: TokenAnswer): IssuedToken {
  let token = issued.get(answer);
  if (token === undefined) {
    token = new IssuedToken(answer);
    issued.set(answer, token);
  }
  return token;
}
