import { booleanFlag, choiceFlag, integerFlag, stringFlag } from "./flag.ts";

const WITHOUT_EFFECT = "podid always logs to standard error.";

const format = choiceFlag({ default: "text", choices: ["text", "json"], help: "Format of the log." });

/** The log flags that MIC and NMI share with upstream; those that only klog understands are accepted and do nothing. */
export const LOGGING_FLAGS = {
  "log-format": {
    ...format,
    // Upstream's own sentence (scenario S08), which people search for.
    parse: (text: string) => {
      const parsed = format.parse(text);
      return "value" in parsed
        ? parsed
        : { expected: `text or json: unknown logging format ${text}. Only "text" and "json" are supported` };
    },
  },
  v: integerFlag({
    default: 0,
    min: 0,
    max: 10,
    help: "Verbosity: 0 is for operators, from 1 on decisions are logged, from 5 on every step.",
  }),
  logtostderr: booleanFlag({ default: true, help: "klog.", ignored: WITHOUT_EFFECT }),
  alsologtostderr: booleanFlag({ default: false, help: "klog.", ignored: WITHOUT_EFFECT }),
  add_dir_header: booleanFlag({ default: false, help: "klog.", ignored: WITHOUT_EFFECT }),
  one_output: booleanFlag({ default: false, help: "klog.", ignored: WITHOUT_EFFECT }),
  skip_headers: booleanFlag({ default: false, help: "klog.", ignored: WITHOUT_EFFECT }),
  skip_log_headers: booleanFlag({ default: false, help: "klog.", ignored: WITHOUT_EFFECT }),
  stderrthreshold: stringFlag({ default: "2", help: "klog.", ignored: WITHOUT_EFFECT }),
  log_dir: stringFlag({ default: "", help: "klog.", ignored: WITHOUT_EFFECT }),
  log_file: stringFlag({ default: "", help: "klog.", ignored: WITHOUT_EFFECT }),
  log_file_max_size: integerFlag({ default: 1800, help: "klog.", ignored: WITHOUT_EFFECT }),
  log_backtrace_at: stringFlag({ default: ":0", help: "klog.", ignored: WITHOUT_EFFECT }),
  vmodule: stringFlag({ default: "", help: "klog.", ignored: WITHOUT_EFFECT }),
} as const;
