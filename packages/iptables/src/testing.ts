export { FakeIptables } from "./fake-iptables.ts";
