// Loaded before MIC and NMI: their wall clock is off by so many milliseconds as PODID_E2E_SKEW says for them by name.
const skews = JSON.parse(process.env["PODID_E2E_SKEW"] ?? "{}");
const skew = skews[process.env["POD_NAME"] ?? ""] ?? skews[process.env["NODE_NAME"] ?? ""];
if (typeof skew === "number") {
  const RealDate = Date;
  globalThis.Date = class extends RealDate {
    constructor(...given) {
      if (given.length === 0) super(RealDate.now() + skew);
      else super(...given);
    }
    static now() {
      return RealDate.now() + skew;
    }
  };
}
