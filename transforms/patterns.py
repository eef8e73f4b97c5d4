"""Patterns of lines: how programs of many kinds say that something failed, passed, ended or is empty. signals.py asks them."""

from __future__ import annotations

import re

NAN_VALUE = re.compile(r"(?:[:=(,\[|]\s*|\s)[-+]?(?:nan|inf)(?:inity)?(?![\w-])(?!\s+[A-Za-z])", re.I)
# Infinity as where a search begins, or as no limit: `improved from inf to 0.5`.
BOUND = re.compile(r"\b(?:from|best\w*(?: \w+)?|patience|timeout|clip\w*|m(?:ax|in)\w*)[ :=]+[-+]?inf\b", re.I)
# An error that is a measure: `validation error: 0.12`.
MEASURE = re.compile(
    r"\b(?:squared|absolute|relative|mean|validation|val|test|train\w*|eval\w*|word|top-?\d|reconstruction|quantization|rounding)"
    r"[ _.]errors?(?: rate)?\s*[:=]?\s*\(?\d*\.\d",
    re.I,
)

RAISED = re.compile(
    r"(?:\s*(?:Caused by|Suppressed|Exception in thread \"[^\"]{0,80}\"):? )?"
    r"\W{0,12}(?:[\w$]+[.:\\/]+)*(?:[A-Z]\w*(?:Error|Exception|Failure|Fault|Exit|Interrupt|Panic)|Stop(?:Async)?Iteration)\b"
    r"(?: ?[:(\[]|$|\s+-)"
    r"|(?:\w+\.)*(?:(?:exceptions?|errors?|exc)\.[A-Z]\w+|\w+\.(?:\w*error|[A-Z]\w*Expired|Broken\w+))(?:: (?![-+\d.]+\s*$)|$)"
    r"|terminate called "
    r"|\W{0,12}(?:A fatal error has been detected|Fatal Python error:|SIG(?:SEGV|ABRT|BUS|ILL|FPE)\b(?!:))"
)
ERROR_LABEL = re.compile(
    r"(?:^|[\s\[(<|:#*!\]])(?:(?i:error|fatal|critical|severe)|ERR|E)(?:\[\w+\]|\(\w+\)| [A-Z]{1,5}\d{2,5})?\]?(?::|!|\]|\)|>| -|$)"
    r"|\b(?:ERROR|FATAL|CRITICAL|SEVERE)\b|^E\s{2,}|^E\d{4}\s|\[[EF](?:\]|:\w)|^[EF] [\w./-]+\.[a-z]{1,4}:\d+\]"
)
# How compilers and linters say what they found, and where: `a.py:3:1: F401 ...`; a warning or note is none.
FOUND = re.compile(
    r"\s*[\w./\\@+-]{1,200}\.\w{1,8}"
    r"(?::\d+:\d+:? +(?!(?:warning|warn|note|info|debug|hint|help|style|remark)\b)[A-Za-z'\"`]|:\d+:? [A-Z]{1,5}\d{2,5}:? )",
    re.I,
)
LOUD = re.compile(r"\bFAIL(?:ED|URE|URES|ING|S)?\b|^\s*(?:Failure|Failures|Failed|Fail)\b")
FAILED_TEST = re.compile(
    r"^\s*(?:--- FAIL|\d{1,4}\) \S|not ok \d|FAIL(?:ED)?[: ]|[✗✖✘×❌✕]\s|●\s(?!\S+\.(?:service|socket)\b))"
    r"|^\s*(?:\[-\]|\[ *FAIL(?:ED)? *\])"
    r"|\bFAILED\s*(?:\[[^\]]*\])?\s*$|<<< (?:FAILURE|ERROR)|\[FAIL\]|\.\.\. ?(?:FAILED|FAIL|ERROR|Failed)\b"
    r"|\*\*\*(?:Failed|Timeout|Exception|Not Run)\b"
)
PASSED_TEST = re.compile(
    r"\s*(?:\[\+\] |[✓✔√] (?!\d+ passed)|ok \d|--- PASS|PASS(?:: (?!\d)| )|XFAIL |\[ *(?:OK|PASS(?:ED)?) *\])"
)
PASSED_END = re.compile(
    r"(?<![Nn][Oo][Tt] )(?<!\d )\b(?:PASSED|OK)\s*(?:\[[^\]]*\]|\([^)]*\))?\s*$|\.\.\. ?(?:ok|[Pp]assed)\b(?: \([^)]*\))?\s*$"
)
NAMED_TEST = re.compile(
    r"\s*(?:=== (?:RUN|CONT|PAUSE)|\[ RUN +\]|# Subtest:|--- SKIP|\S+::\S+ SKIPPED\b|[○↓] |\* \[new \w+\]|HEAD is now at "
    # A probe of what a system has; `no` is an answer.
    r"|(?:-- )?(?:Performing Test|Looking for|[Cc]hecking (?:for|if|whether)|Check if)\b"
    r".*(?:- [Ff]ailed|- not found|(?:\.\.\.|:) *no)\s*$)"
)
FAILURES = r"(?:failures?|failed|failing|fails?(?!-)|errors?|problems?|issues|offen[cs]es?|broken|unexpected)"
SUMMARY = re.compile(
    # `3 of 40 failed`, but neither `0 of 40 failed` nor `0/40 failed`.
    rf"(?<![\w./])(?<!\d of )(?<!\d out of )[1-9]\d* (?:tests? )?{FAILURES}\b(?! ?[:=] ?\d)"
    rf"|(?<![\w./])[1-9]\d* ?(?:/|(?:out )?of) ?\d+ (?:(?!after|allowed)\w+ )?{FAILURES}\b"
    r"|(?<!max[_ -])(?:failures?|failed|errors?)(?:[ _](?:\w{2,20}s|count))? ?[:=]\s{0,9}[1-9]|^\W{0,4}fail [1-9]"
    r"|(?<!\b0 )(?<!\bno )tests? failed",
    re.I,
)
CHILD = r"(?:Killed|Aborted|Segmentation fault|Bus error|Illegal instruction|Floating point exception|Abort trap)"
BAD_END = r"(?:-?[1-9]\d*\b|0x[0-9a-f]*[1-9a-f]|(?:Neg)?SIG|signal)"
IS = r"(?: of| is| was)?[ :=]*(?:['\"(\[] ?)?"  # between what names a code and the code
EXIT = re.compile(
    r"\b(?:exit(?:ed|s|ing)?|terminat\w+|fail\w*|died|killed|exitcode)\b.{0,40}?"
    rf"(?:\b(?:code|status|exitcode|signal){IS}{BAD_END}"
    r"|\b(?:with|by) (?:-?[1-9]\d{0,2}\b(?!\s+[A-Za-z])|SIG|<Signals\.|signal))"
    # Of these some speak of HTTP.
    r"|\b(?:return(?:ed|s)?|finish\w*|completed?|ended|status)\b.{0,40}?\b(?:code|status|exitcode|signal)"
    rf"{IS}(?!-?[23]0\d\b){BAD_END}"
    r"|\bnon[- ]?zero (?:exit|return|status|error|code)|returned (?:a )?non-?zero|\breturned -?[1-9]\d{0,2}(?: \(|$)"
    r"|\bexited:? \(?-?[1-9]|\(exit:? -?[1-9]\d{0,2}\)"
    r"|(?:^(?:\[\d+\][+-]? +|\++ )?|: )exit[:= ] ?-?[1-9]\d{0,2}\b(?! ?[%/.:]| [a-z])"
    r"|\b(?:caught|received|got|by) signal[ :]{1,2}[1-9]"
    rf"|\b(?:exit(?:ed)?(?: with)?[ _-]?(?:code|status|value)|return[ _-]?(?:code|status))[\"']?{IS}(?:-?[1-9]|0:[1-9])"
    r"|\bexit[ _-]?codes\b.{0,80}?[^\w.]-[1-9]"
    r"|\b(?:rc|retcode|errorcode)[ :=]+-?[1-9]"
    # A shell or a launcher says how its child ended.
    rf"|(?:line \d+: +\d+ *|^\[\d+\][ +-]*|^[+-]? +|\btask \d+: *|^\w+: *){CHILD}\b"
    rf"|^(?:{CHILD}|Terminated)(?:: \d+)?(?: *\(core dumped\))?\s*$",
    re.I,
)
VERDICT = re.compile(
    r"\bbuild (?:failed|failure|errored|broken|stopped|aborted|marked)"
    r"|\b(?:job|task|step|stage|workflow|pipeline|compilation|tests?|command|script|target|goal|process|run|"
    r"child|worker|rank|container|pod|node|execution)\b[^.]{0,60}\b(?:failed|failure|errored|aborted|killed|died|crashed)\b"
    r"|\w*make(?:\[\d+\])?: \*\*\*|recipe for target|root cause|first observed failure",
    re.I,
)
NONE = re.compile(
    r"(?<!non-)\b(?:no|zero|without(?: any)?) (?:\w+ )?"
    r"(?:errors?|failures?|failed|exceptions?|warnings?|problems?|tests failed|issues|offen[cs]es|stragglers|stalls|oom)\b"
    # `rank 0 failed` counts nothing.
    r"|(?<![\w.])0 (?:\w+ )?(?:(?:errors|failures|exceptions|warnings|problems|tests failed)\b|(?:error|warning)\(s\))"
    r"|(?:^|[,;:(|] ?|\b(?:and|with) )0 (?:\w+ )?(?:failed|failing|error|failure)\b"
    r"|(?<![\w./])0 ?(?:/|(?:out )?of) ?\d+ (?:\w+ )?(?:failed|failing|failures?|errors?)\b|^\W{0,4}fail 0\b"
    r"|(?<![A-Za-z])(?:errors?|failures?|failed|exceptions?)(?:[ _](?:\w{2,20}s|count)|\(s\))?[\"']?\s{0,40}[:=]\s{0,9}"
    r"(?:0(?:\.0+)?|none|false|\[\]|null)"
    r"(?=[\"']?\s*(?:$|[,;|)}\]]|\w+[\"']?[:=]))"
    r"|\b(?:nans?|infs?|missing|invalid|duplicates?|overflows?|timeouts?|lost|bad|corrupt\w*|unresolved|rejected|evicted"
    r"|errored|ecc|xid|uncorrectable)(?: [\w-]+){0,2} ?[:=]\s*(?:0\b(?![./]?\d)|false\b)"
    r"|(?<![\w.])0 (?:nans?|infs?|missing|invalid|duplicates?|corrupt\w*|lost|bad|unsupported|rejected|critical|unhealthy"
    r"|stalls?|timeouts?|preempt\w+|evict\w+|issues|offen[cs]es|stragglers|unused)\b"
    rf"|\b(?:exit(?:ed)?(?: with)?|return)[ _-]?(?:code|status|value)[\"']?{IS}0\b(?!\.\d|:[1-9])"
    r"|\bexit(?:ed)? (?:with (?:0|zero)|normally)\b"
    r"|\b(?:return(?:ed|s)?|terminat\w+|finish\w*|completed?|exit\w*)\b.{0,40}?\b(?:code|status|exitcode)"
    rf"{IS}0\b(?!\.\d|:[1-9])",
    re.I,
)
EXPECTED = re.compile(r"expected (?:error|failure|exception)|not an error|continue-on-error|allowed to fail", re.I)
TRACEBACK = re.compile(
    r"Traceback \(most recent call last\)|stack ?trace:|stack backtrace|backtrace:|Current thread 0x"
    r"|^\s*(?:Exception in thread|Caused by:|Unhandled exception|goroutine \d+ \[|thread '.*' panicked|panic:)",
    re.I,
)
FRAME = re.compile(
    r"\s+at \S|\s*File \"|\s*(?:from )?\S+\.\w{1,5}:\d+:in\b|\s*#\d+[: ]|\s+\.\.\. \d+ more|\s*\d+: +0x"
    r"|\s+[\w./@-]+\.\w{1,5}:\d+\b|\S+\(0x[0-9a-f]+|.*\+0x[0-9a-f]+\s*$|\s*\S+ in \S+ at \S+:\d+|\s*frame #\d+"
    r"|[\w.$*/-]+\.(?:\(\*?\w+\)\.)?\w+(?:\.\w+){0,4}\((?:0x|\{|\.\.\.\)$|\)$)|created by \S+ in goroutine"
)
# Each begins with a character that is looked for fast; what stands before it is looked at after it was found.
PLACES = (
    re.compile(r"\.(?<=[\w@+-]\.)[A-Za-z]\w{0,9}[:(\[] ?\d(?!\d*(?:\.\d|[eE]-?\d))"),  # no value: train.loss: 2.3
    re.compile(r"line \d(?<!\wline \d)"),
    re.compile(r":\d+:\d+\b"),
)
CARET = re.compile(r"[\s|]*(?:\d+ \|[\s|.]*|\.[\s|.]*)?[\^~][\^~\-\s]*$|\s*-+\^|[>E] {2,}|\s*\|? *\^|\s*-->\s")
CODE = re.compile(r"\s*(?:(?:>|=>)\s*)?\d+ ?[|:]\s")
DIFF = re.compile(r"[+-](?![+-])|@@ |(?:\+\+\+|---) \S|\s*[+-] +\S")
COMMAND = re.compile(
    r"\s*(?:\$ |\+{1,3} \S|> \S|##\[(?:group|command)\]|Run |Executing|running )|[^\s@]{1,64}@[^\s@:~]{1,253}[:~].*[$#] "
)
BUILD = re.compile(
    r"\s*(?:\[ *\d+/\d+\]|\[ *\d+%\]|(?:CC|CXX|LD|AR|GEN|Compiling|Building|Linking|gcc|g\+\+|clang|cc|c\+\+|/usr/bin/\S+|checking|"
    r"libtool:|copying|creating|running|adding|\[?(?:INFO|info|DEBUG|debug)\]?)(?!\w))"
)
SETTING = re.compile(r"\s*[\w.\- ]{1,40}(?::| ?=|\.{3,}) ?\S.{0,80}$")
VERSION = re.compile(r"\.(?<=\d\.)\d+\.\d")
RULE = re.compile(r"\s*([=\-_*~#.+<>])\1{3,}")
HEADER = re.compile(
    r"\s*(?:[-_]{7,}|[=\-_*#~]{3,}(?![=\-_*#~]) ?[\w .:,/\[\]()'-]+ ?[=\-_*#~]{3,}|[A-Z][A-Za-z ]{2,40}:)\s*$"
)

# `did not complete`, `is not installed`: no word of success, but of what did not come.
UNDONE = re.compile(
    r"\b(?:not|n't|never|cannot|failed to|unable to|without|before)(?: be)?(?: \w+){0,2}"
    r" (?:pass\w*|complet\w+|success\w*|succeed\w*|finish\w*|ok|install\w*|resolve\w*|satisf\w+|fetch|get|pull|download"
    r"|load\w*|restor\w+|start\w*|initializ\w+|launch\w*)\b",
    re.I,
)
# A whole line that sets how long to wait, or a variable.
SETS = re.compile(
    r"\W{0,12}[\w.-]*(?:timeout|deadline)[\w.-]*[\"']?\s{0,40}[:=]\s{0,9}[\"']?[\d.]+ ?(?:[mu]?s|sec\w*|min\w*|h)?[\"']?,?\s*$"
    r"|\s*(?:export |ENV |-e )?[A-Z][A-Z\d]*_[A-Z\d_]*=\S*\s*$",
)
# Nothing of what a job needs.
NEEDED = r"(?:samples|images|files|items|records|rows|examples|batches|shards|classes|parameters|weights|tensors|tests|\w+\(s\))"
CAME = r"(?:kept|match\w*|loaded|read|written|wrote|valid|usable|accepted|delivered)"
EMPTY = re.compile(
    rf"\b(?:found|loaded|collected|read|got|selected|are) 0 (?:\w+ )?{NEEDED}(?!\w)"
    # Of all that there was nothing came through: `kept 0 of 100 rows`.
    rf"|\b{CAME}:? 0 of [1-9]|\b0 of [1-9]\d* (?:\w+ )?{CAME}\b"
    rf"|^\W*0 (?:\w+ )?{NEEDED} (?:found|loaded|matched|selected|available|read|in)\b|\btotal (?:\w+ )?{NEEDED} ?[:=] ?0\b(?!\.)",
    re.I,
)

# Matched at the message's start: cheap enough for every line. Searches stand behind a test for a word that they need.
SHAPES = (
    ("raised", RAISED.match), ("frame", FRAME.match), ("caret", CARET.match), ("code", CODE.match), ("diff", DIFF.match),
    ("command", COMMAND.match), ("setting", SETTING.match), ("rule", RULE.match), ("header", HEADER.match),
)  # fmt: skip
