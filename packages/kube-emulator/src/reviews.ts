import type { Json } from "./json.ts";
import { at, listAt, textAt } from "./json.ts";
import type { TokenAuthority, User } from "./service-account-token.ts";

const AUTHENTICATION = "authentication.k8s.io/v1";
const AUTHORIZATION = "authorization.k8s.io/v1";

/** Answers a create of one of the virtual review kinds; undefined for others. */
export async function review(
  plural: string,
  body: unknown,
  user: User,
  authenticate: (token: string, audiences: readonly string[]) => Promise<Json>,
  tokens: TokenAuthority,
): Promise<Json | undefined> {
  const spec = (at(body, "spec") ?? {}) as Json;
  const answer = (apiVersion: string, kind: string, status: Json): Json => ({
    kind,
    apiVersion,
    metadata: {},
    spec,
    status,
  });
  switch (plural) {
    case "tokenreviews": {
      const audiences = listAt(spec, "audiences").map(String);
      return answer(
        AUTHENTICATION,
        "TokenReview",
        await authenticate(textAt(spec, "token"), audiences.length === 0 ? tokens.audiences : audiences),
      );
    }
    case "selfsubjectreviews":
      return {
        kind: "SelfSubjectReview",
        apiVersion: AUTHENTICATION,
        metadata: {},
        status: { userInfo: user },
      };
    case "selfsubjectaccessreviews":
      return answer(AUTHORIZATION, "SelfSubjectAccessReview", { allowed: true });
    case "subjectaccessreviews":
      return answer(AUTHORIZATION, "SubjectAccessReview", { allowed: true });
    default:
      return undefined;
  }
}
