"""What part a line plays in a block, told by the shape of its template; and which part may follow which.

A block is a state machine: ROLES says in what state a line leaves a block that it opens; TABLE says from which states it joins
the block before it instead, and what state it leaves that in. Roles are general: a frame is a frame in any language.

Patterns look at templates (mask.py): numbers, addresses and times are `#`, values in quotes `'*'`, white space is one space, none
at the ends, and decoration is three characters long.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

STATES = (
    "none",
    "line",  # a line like any other
    "trace",  # a Python traceback, until the exception that ends it
    "done",  # the same, ended: its message may go on, another traceback may be chained to it
    "bridge",  # between two chained tracebacks
    "raised",  # an exception or a panic, no frame seen yet
    "stack",  # ... and its frames
    "placed",  # a place in the source, alone on a line: Node's uncaught exceptions begin so
    "intro",  # what a compiler says before its diagnostic: included from, in function
    "diag",  # a compiler's diagnostic
    "report",  # an assertion that failed, or a test
    "diff",
    "crash",  # the dump of a process that died: sanitizers, faulthandler, glibc, debuggers
    "launch",  # what a launcher or a collective library says in a row
    "ruled",  # a line of decoration
)
STATE = {name: i for i, name in enumerate(STATES)}
HANGING = " ".join(STATES[1:-1])  # what is deeper than the block's first line hangs on it

# What logging writes before a message, the time already gone: level, name, place. In templates, and in lines.
_LEVEL = r"(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|FATAL|CRITICAL|SEVERE)"
_LABEL = (
    rf"(?:[\w.]{{1,60}} - {_LEVEL} - |{_LEVEL}(?: NUMBER)* \[?[\w./*\-]{{1,80}}:NUMBER\]:? "
    rf"|{_LEVEL}\s*\| (?:[\w.<>:]{{1,120}} - )?|\{{[\w.]{{1,60}}:NUMBER\}} {_LEVEL} - |{_LEVEL}:[\w.]{{1,60}}:"
    rf"|{_LEVEL}:? |[IWEF](?:NUMBER NUMBER +(?:NUMBER )?| )[\w./*\-]{{1,120}}:NUMBER\] |\[[\w.:#,/*@=()| \-]{{1,80}}\] "
    r"|stderr: |\+ )?"
)
LABEL = _LABEL.replace("NUMBER", "#").replace(r"\w.<>:]", r"\w.<>:#]").encode()
# A record whose time is that of the one before it may have blanks instead.
PADDED_LEVEL = re.compile(rf"\s{{8,}}{_LEVEL} ")
LINE_LABEL = re.compile(_LABEL.replace("NUMBER", r"\d[\d.:,\-/]*"))
PATH = rb"[^\s:()]*[^\s:().]\.[A-Za-z]\w{0,5}"

# These look for words anywhere in a line, a third of the time of all: they are left out for templates without the words.
_INSTANTIATED = rb"|.{1,300}(?:required from|required by substitution|instantiated from|In instantiation of)"
_MARKED_TEST = rb"|.{1,200}<<< (?:FAILURE|ERROR)"
_INVALID = rb"|.{1,300}[\[(]type=[\w.]+[,)]"  # of a field, by pydantic
_ANYWHERE = (b"required ", b"instantiat", b"<<< ", b"type=")

# (role, state of a block that it opens, pattern); the first that matches decides.
ROLES: tuple[tuple[str, str, bytes], ...] = (
    ("text", "line", rb""),  # tried last
    ("blank", "none", rb"$"),
    ("rule=", "ruled", rb"===$"),
    ("rule-", "ruled", rb"---$"),
    ("rule*", "ruled", rb"(?:\*\*\*|___|###|~~~|\+\+\+)$"),
    ("separator", "line", rb"_ _ _[_ ]*$"),
    ("header", "trace", rb"(?:\xe2\x95\xad(?:\xe2\x94\x80)+ )?(?:(?!Original )[A-Z][\w.#]* )?Traceback \(most recent call"
     rb"|ray::.{1,200}\(pid="),
    ("group", "trace", rb"Exception Group Traceback \(most recent call"),
    ("inner", "trace", rb"Original Traceback \(most|Traceback of TorchScript"),
    ("source_frame", "trace", rb"(?:[|>] )*File [\"'<]|File \S+:#(?:$|, in )|(?:Cell|Input) In ?\[#\]"),
    ("bridge", "bridge", rb"During handling of the above exception|The above exception was|-- Process # terminated with"),
    ("goroutine", "stack", rb"goroutine # \["),
    ("crash", "crash",
     rb"==#==|\*\*\* (?!\[)\S|Fatal Python error|Current thread #|Thread # (?:\(|\[)|=== Backtrace|Stack dump|PC: @"
     rb"|Extension modules:|Program (?:received|terminated)|Core was generated|\w+Sanitizer: |Received signal #"
     rb"|<--- (?:Last few GCs|JS stacktrace)|-+ Native stack trace|ERROR: Reached heap"),
    ("crash_line", "line",
     rb"(?:READ|WRITE) of size|# is located|(?:freed|allocated|previously|Previous|Location|Mutex|As if|Write of|Read of) "
     rb"|SUMMARY: |Shadow byte|=>#|(?:Signal|Signal code|Failing at address|Registers?):|Thread T# |(?:Direct|Indirect) leak"),
    ("panic", "raised",
     rb"panic: |fatal error: |" + PATH + rb":#:in .{1,100}: \S|thread .{1,80} panicked at"
     rb"|Exception in thread|(?i:unhandled|uncaught) |terminate called|Exception:"
     rb"|Exception ignored|Task exception was never|Error executing job"
     rb"|\*\* \(\w|PHP (?:Fatal|Parse)|Fatal error: |SIG[A-Z]{3,5}: "),
    ("signal", "line", rb"\[signal |future: <|what\(\): "),
    ("caused", "raised", rb"Caused by: \S+[.:$]|Suppressed: \S|: (?:[a-z]\w*\.)+[A-Z]"),
    ("cause", "raised",
     rb"(?:Caused by|Suppressed|Wrapped by|\[cause\]|Stack ?trace|stack backtrace|(?i:call ?stack|backtrace))\b.{0,40}:|--- End of "
     rb"|Driver stacktrace:"
     rb"|\* (?:What went wrong|Exception is|Try|Get more help)\b|\.\.\. # (?:more|common frames)"
     rb"|Node\.js v#"),
    ("runtime", "line",
     rb"\[\[|BufferAssignment|Peak buffers:|# successful operations|# derived errors|# root error|\(#\) [A-Z_]{4,}:|Node: "
     rb"|Detected at node|Original stack trace|Errors may have originated|Stack trace below"
     rb"|Input Source|The stack trace below|Hint: If you want|from user code:|Total hbm usage|Output size #"
     rb"|Program \w+ requirement|Largest program alloc|#\.? Size: "),
    ("test", "report",
     rb"--- FAIL|CMake Error|FAILURE: |#\) \S|not ok #|FAIL(?:ED|URE)?: |ERROR: test"
     rb"|(?:\xe2\x9c[\x95-\x98]|\xc3\x97|\xe2\x9d\x8c|\xe2\x97\x8f) "
     + _MARKED_TEST + rb"|Failures:$|\[ ?FAIL(?:ED)? ?\]|> \[[^\]]{0,60}#/#\] |___ \S.* ___$"),
    ("box", "report", rb"\xe2\x95\xb7$|\xe2\x95\xad(?:\xe2\x94\x80)+ (?i:error|exception|fail)"),
    ("assert", "report", rb"E(?: |$)"),
    ("marked", "line", rb"> "),
    ("expect", "report",
     rb"(?:(?i:expected|actual|received|wanted|want|got|but was|but got)|left|right|Failed asserting|Failure/Error|Error Trace"
     rb"|Messages|Diff(?:erence)?|DESIRED|Value of)\b.{0,30}?(?:$|: ?)|(?:Failed validating|On instance)\b"
     rb"|\[(?:left|right|index)\]: |(?:DataFrame|Series|Index|numpy array)\b.{0,80} are different"),
    ("diff_head", "diff", rb"@@ |(?:\+\+\+|---) (?!.*[-+=]{3}$)\S|diff --git "),
    ("frame", "stack",
     rb"## (?!\[|[A-Z]{2,}[ :])(?:#|<|/|\{main\}|.{0,200}[( ](?:in|at|from) |.{1,200}\()|frame ##"  # steps of a build have no place
     + rb"|(?:# )?" + PATH + rb":#:in |from \S+:#:in |@ #(?: |$)|[^ ()]*\([^ ()]*\+#\) ?\[?#?|\[ ?#\] ?[^ ]*[(/]|#: # - "
     + rb"|" + PATH + rb":# \+#$|\S+ in \S+ at |\[<#>\]"),
    ("weak_frame", "line", rb"at \S|[^ ]+\[#\]$"),
    ("place", "placed",
     rb"(?:# )?(?:\w+:)?" + PATH + rb":#(?::(?: \w+)?|: in \S+)?$|<frozen [^>]+>:#: in |(?:node:|\[eval\])[\w/]*:#$"),
    ("call", "line", rb"[\w./*()$#\-]+\([#{}.,x? ]*\)$|created by "),
    ("number_frame", "line", rb"#: (?:# - )?\S"),
    ("launcher", "launch",
     rb"(?:srun|slurmstepd|slurmd|sbatch|salloc|mpirun|mpiexec|prterun|orterun|pdsh|yarn|kubelet): |npm (?:ERR!|error)(?: |$)"),
    ("collective", "launch", rb"\S+ \[#\] (?:\S+ )?NCCL (?:WARN|ERROR) "),
    ("collective_trail", "line", rb"\S+ \[#\] NCCL INFO .{0,200}-> #$"),
    ("note", "line",
     rb"(?:note|help|hint|info|HINT|DETAIL|CONTEXT|LINE #): |" + PATH + rb"[:(]#[:)]*:? (?:note|remark): |= (?:note|help): "),
    ("intro", "intro",
     rb"In file included from|from \S+:#[,:]|[^ ]+: (?:In|At) " + _INSTANTIATED),
    ("diag", "diag",
     rb"\S+?[:(]#[:)]*(?: -)? (?:fatal |internal compiler |syntax )?(?i:error|warning)\b|(?:error|warning)(?:\[\w*#?\])?: "),
    ("raised", "raised",
     rb"(?:[\w$#]+[.:\\/]+)*(?:_*[A-Z][\w#]*(?:Error|Exception|Failure|Fault|Exit|Interrupt|Panic|Traceback)|Error)\b(?: ?[:(\[]|$)"
     rb"|(?:[A-Za-z]\w*\.)*[A-Z]{4,}_[A-Z_]{2,}: "),
    ("caret", "line", rb"(?:# ?)?[|.]? ?[|_~\- ]*[\^~]+(?:[\s|~^\-_]|$)|-+\^"),
    ("source", "line",
     rb"(?:> ?|=> ?)?# ?(?:[|]|\xe2\x94\x82)(?: |$)|(?:-->|:::) |-+> # \S|(?:> ?|=> ?)#: |\xe2\x95\xad\xe2\x94\x80\[|\xc2\xb7 "),
    ("gutter", "line", rb"(?:[|]|\xe2\x94[\x82\x83])(?: |$)|\+-|\xe2\x95[\xb0\xb5]"),
    ("numbered", "line", rb"# (?!errors?|warnings?|problems?|tests?|pass|fail)\S"),
    ("diff_line", "line", rb"[+\-](?![+\-])"),
    ("advice", "line",
     rb"(?:For (?:debugging|more|further|simplicity)|Please |See |If (?:you|this) |Try |Consider |Compile with|You can |Make sure"
     rb"|Did you mean|Last error|CUDA kernel|Search for |Set (?:the env|[A-Z]{4})|\[SQL: |\[parameters: |Perhaps "
     rb"|nccl[A-Z]\w+: |\(Background on|\(Triggered )"),
    ("detail", "line",
     rb"(?:Mismatched elements|Max (?:absolute|relative) difference|First differing|At positional)\b" + _INVALID),
    ("value", "line", rb"\w+ = \S"),
    ("closer", "line", rb"[}\])]+[;,.]?$"),
    ("named", "line", rb"[A-Za-z_][\w.$<>#]*(?:: |:?$)"),
)  # fmt: skip
ROLE = {name: i for i, (name, _, _) in enumerate(ROLES)}
OPENS = np.array([STATE[state] for _, state, _ in ROLES], np.uint8)
ENDS_IN_COLON, LABELLED = 128, 64  # added to a role
_TEXT = rb"(?P<label>%s)(?:%s|(?P<r0>))" % (
    LABEL,
    rb"|".join(rb"(?P<r%d>%s)" % (i, text) for i, (_, _, text) in enumerate(ROLES) if i),
)
_PATTERN = re.compile(_TEXT)
_MOSTLY = re.compile(_TEXT.replace(_INSTANTIATED, b"").replace(_MARKED_TEST, b"").replace(_INVALID, b""))

# How a line joins a block: (how, role, from, to); `to` empty: the state stays. The first row that fits counts.
ANYWHERE, SAME, COLON, DEEPER, OVER, FAR = range(6)
HOW = {"anywhere": ANYWHERE, "same": SAME, "colon": COLON, "deeper": DEEPER, "over": OVER, "far": FAR}
_JOINS: tuple[tuple[str, str, str, str], ...] = (
    # anywhere: right behind the block's last line, at any column
    ("anywhere", "header", "bridge report raised ruled", "trace"),
    ("anywhere", "group", "bridge report raised ruled", "trace"),
    ("anywhere", "inner", "trace done raised", "trace"),
    ("anywhere", "source_frame", "trace crash report stack", ""),
    ("anywhere", "bridge", "trace done bridge", "bridge"),
    ("anywhere", "goroutine", "raised stack done", "stack"),
    ("anywhere", "signal", "raised stack crash", ""),
    ("anywhere", "crash", "crash ruled", "crash"),
    ("anywhere", "crash_line", "crash", ""),
    ("anywhere", "caused", "raised stack done report placed", "raised"),
    ("anywhere", "cause", "raised stack done report placed", "stack"),
    ("anywhere", "runtime", "line trace done raised stack", "stack"),
    ("anywhere", "test", "ruled", "report"),
    ("anywhere", "raised", "report", ""),
    ("anywhere", "panic", "report", "raised"),
    ("anywhere", "rule-", "report", ""),
    ("anywhere", "separator", "report", ""),
    ("anywhere", "assert", HANGING, "report"),
    ("anywhere", "marked", "report diag", ""),
    ("anywhere", "expect", "report raised stack done diff placed", "report"),
    ("anywhere", "diff_head", "diff report raised done", "diff"),
    ("anywhere", "diff_line", "diff report", ""),
    ("anywhere", "frame", "line raised placed done", "stack"),
    ("anywhere", "frame", HANGING, ""),
    ("anywhere", "weak_frame", "raised placed", "stack"),
    ("anywhere", "weak_frame", "stack done trace crash report", ""),
    ("anywhere", "place", "raised stack report crash", ""),
    ("anywhere", "call", "stack", ""),
    ("anywhere", "number_frame", "stack crash", ""),
    ("anywhere", "launcher", "launch", ""),
    ("anywhere", "collective", "launch", ""),
    ("anywhere", "collective_trail", "launch", ""),
    ("anywhere", "note", "intro", "diag"),
    ("anywhere", "note", "diag raised stack done report crash", ""),
    ("anywhere", "intro", "intro", ""),
    ("anywhere", "diag", "intro", "diag"),
    ("anywhere", "caret", "line", "diag"),
    ("anywhere", "caret", HANGING, ""),
    ("anywhere", "source", HANGING, ""),
    ("anywhere", "gutter", "diag trace stack done raised report", ""),
    ("anywhere", "numbered", "diag", ""),
    ("anywhere", "advice", "done raised stack diag crash", ""),
    ("anywhere", "rule-", "done", ""),
    ("anywhere", "bridge", "report", ""),
    ("anywhere", "value", "report", ""),
    ("anywhere", "detail", "done raised report", ""),
    # same: at the column of the traceback's header, or of the block's first line
    ("same", "raised", "trace", "done"),
    ("same", "named", "trace", "done"),
    ("same", "closer", HANGING, ""),
    # colon: behind a line that ends in one; see GOES_ON
    ("colon", "header", "line", "trace"),
    ("colon", "group", "line", "trace"),
    # deeper: by two columns than the block's first line (by one in a diff); roles that are not named keep the state
    ("deeper", "source_frame", "done raised", "trace"),
    ("deeper", "header", HANGING, "trace"),
    ("deeper", "group", HANGING, "trace"),
    ("deeper", "frame", "line raised placed", "stack"),
    ("deeper", "weak_frame", "line raised placed", "stack"),
    ("deeper", "caret", "line", "diag"),
    ("deeper", "assert", "line", "report"),
    # over: the same, with a blank line or two between
    ("over", "source_frame", "trace stack", ""),
    ("over", "raised", "trace", "done"),
    ("over", "caused", "raised stack report", "raised"),
    ("over", "runtime", "done raised stack", "stack"),
    ("over", "note", "crash", ""),
    ("over", "advice", "done raised stack", ""),
    ("over", "header", "bridge", "trace"),
    ("over", "group", "bridge", "trace"),
    ("over", "bridge", "trace done bridge", "bridge"),
    ("over", "goroutine", "raised stack", "stack"),
    ("over", "crash", "crash", "crash"),
    ("over", "crash_line", "crash", ""),
    ("over", "number_frame", "crash", ""),
    ("over", "frame", "crash report", ""),
    ("over", "frame", "raised", "stack"),
    ("over", "weak_frame", "raised", "stack"),
    ("over", "weak_frame", "report", ""),
    ("over", "cause", "raised stack report", ""),
    ("over", "raised", "placed", "raised"),
    ("over", "assert", "report", ""),
    ("over", "marked", "report", ""),
    ("over", "expect", "report raised done", "report"),
    ("over", "diff_head", "report diff", ""),
    ("over", "diff_line", "report diff", ""),
    ("over", "place", "report", ""),
    ("over", "bridge", "report", ""),
    ("over", "value", "report", ""),
    ("over", "separator", "report", ""),
    ("over", "collective", "launch", ""),
    ("over", "numbered", "diag", ""),
    ("over", "source", "diag report", ""),
    ("over", "caret", "diag report", ""),
    ("over", "detail", "done raised report", ""),
    ("over", "frame", "done", "stack"),
    ("over", "weak_frame", "done", "stack"),
    # far: with a few lines of a message between, which become part of the block
    ("far", "caused", "raised", "raised"),
    ("far", "bridge", "done", "bridge"),
    ("far", "detail", "done", ""),
    ("far", "caret", "diag", ""),
    ("far", "frame", "raised", "stack"),
    ("far", "weak_frame", "raised", "stack"),
    ("far", "cause", "raised", "stack"),
)
GOES_ON = ("raised", "done", "stack", "report")  # with whatever follows, where their last line ends in a colon
NEVER_DEEPER = ("blank", "test")


def _table() -> npt.NDArray[np.uint8]:
    """uint8[how, role, state]: the state of the block after a line of this role joined it so, 0 where it does not."""
    table = np.zeros((len(HOW), len(ROLES), len(STATES)), np.uint8)
    for how, role, states, to in _JOINS:
        for state in states.split():
            cell = (HOW[how], ROLE[role], STATE[state])
            table[cell] = table[cell] or STATE[to or state]
    for state in HANGING.split():
        column = table[DEEPER, :, STATE[state]]
        column[column == 0] = STATE[state]
    for state in GOES_ON:
        table[COLON, STATE["line"] == OPENS, STATE[state]] = STATE[state]
    for role in NEVER_DEEPER:
        table[DEEPER, ROLE[role]] = 0
    table[DEEPER, ROLE["source_frame"], STATE["line"]] = 0  # of a syntax error, which has no header
    table[DEEPER, ROLE["group"], STATE["line"]] = 0  # what stands before it is deeper than its header
    return table


TABLE = _table()


def role_of(template: bytes) -> int:
    """Role of a masked line, an index into ROLES; ENDS_IN_COLON added where its last character is one, LABELLED where logging set
    something before the message. 0 is text like any other.
    """
    head = template[:600]
    found = (_PATTERN if any(word in head for word in _ANYWHERE) else _MOSTLY).match(head)
    role = ENDS_IN_COLON if template.endswith(b":") else 0
    if found is None or found.lastgroup is None:  # it matches anything
        return role
    return role | int(found.lastgroup[1:]) | (LABELLED if found["label"] else 0)
