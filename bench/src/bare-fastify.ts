import fastify from "fastify";

/** The least that a Node service with Fastify costs: one route, bundled as NMI is. */
const app = fastify();
app.get("/readyz", () => "ok");
await app.listen({ host: "127.0.0.1", port: 8099 });
process.on("SIGTERM", () => process.exit(0));
