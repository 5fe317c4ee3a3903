// Loaded before MIC: at SIGUSR2 its wall clock jumps by as many milliseconds as PODID_E2E_JUMP says.
let jumped = 0;
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(RealDate.now() + jumped);
    else super(...given);
  }
  static now() {
    return RealDate.now() + jumped;
  }
};
process.on("SIGUSR2", () => {
  jumped += Number(process.env.PODID_E2E_JUMP);
  process.stderr.write(`${JSON.stringify({ msg: "the clock has jumped" })}\n`);
});
