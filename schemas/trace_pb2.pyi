from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PreprocessedTrace(_message.Message):
    __slots__ = ("trace_id", "content_address", "job_id", "window_start_ns", "window_end_ns", "part", "revision", "text", "container", "container_uri", "budget", "query", "tokenizer", "tokens_before", "tokens_after", "bytes_before", "bytes_after", "lines_before", "events_before", "segments", "line_classes", "classes", "route", "notes", "versions", "seconds", "processes", "job")
    class VersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class SecondsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_NS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_END_NS_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_URI_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    TOKENIZER_FIELD_NUMBER: _ClassVar[int]
    TOKENS_BEFORE_FIELD_NUMBER: _ClassVar[int]
    TOKENS_AFTER_FIELD_NUMBER: _ClassVar[int]
    BYTES_BEFORE_FIELD_NUMBER: _ClassVar[int]
    BYTES_AFTER_FIELD_NUMBER: _ClassVar[int]
    LINES_BEFORE_FIELD_NUMBER: _ClassVar[int]
    EVENTS_BEFORE_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    LINE_CLASSES_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    trace_id: str
    content_address: str
    job_id: str
    window_start_ns: int
    window_end_ns: int
    part: int
    revision: int
    text: str
    container: bytes
    container_uri: str
    budget: int
    query: str
    tokenizer: str
    tokens_before: int
    tokens_after: int
    bytes_before: int
    bytes_after: int
    lines_before: int
    events_before: int
    segments: _containers.RepeatedCompositeFieldContainer[Segment]
    line_classes: _containers.RepeatedCompositeFieldContainer[LineClass]
    classes: _containers.RepeatedCompositeFieldContainer[ClassCount]
    route: _containers.RepeatedScalarFieldContainer[str]
    notes: _containers.RepeatedCompositeFieldContainer[Note]
    versions: _containers.ScalarMap[str, str]
    seconds: _containers.ScalarMap[str, float]
    processes: _containers.RepeatedCompositeFieldContainer[ProcessRange]
    job: JobState
    def __init__(self, trace_id: _Optional[str] = ..., content_address: _Optional[str] = ..., job_id: _Optional[str] = ..., window_start_ns: _Optional[int] = ..., window_end_ns: _Optional[int] = ..., part: _Optional[int] = ..., revision: _Optional[int] = ..., text: _Optional[str] = ..., container: _Optional[bytes] = ..., container_uri: _Optional[str] = ..., budget: _Optional[int] = ..., query: _Optional[str] = ..., tokenizer: _Optional[str] = ..., tokens_before: _Optional[int] = ..., tokens_after: _Optional[int] = ..., bytes_before: _Optional[int] = ..., bytes_after: _Optional[int] = ..., lines_before: _Optional[int] = ..., events_before: _Optional[int] = ..., segments: _Optional[_Iterable[_Union[Segment, _Mapping]]] = ..., line_classes: _Optional[_Iterable[_Union[LineClass, _Mapping]]] = ..., classes: _Optional[_Iterable[_Union[ClassCount, _Mapping]]] = ..., route: _Optional[_Iterable[str]] = ..., notes: _Optional[_Iterable[_Union[Note, _Mapping]]] = ..., versions: _Optional[_Mapping[str, str]] = ..., seconds: _Optional[_Mapping[str, float]] = ..., processes: _Optional[_Iterable[_Union[ProcessRange, _Mapping]]] = ..., job: _Optional[_Union[JobState, _Mapping]] = ...) -> None: ...

class Segment(_message.Message):
    __slots__ = ("first", "last", "kind", "label", "confidence", "score", "keep_probability", "template", "count", "first_time_ns", "last_time_ns", "ranks", "tokens", "text", "events")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    KEEP_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FIRST_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    RANKS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    kind: str
    label: str
    confidence: float
    score: float
    keep_probability: float
    template: str
    count: int
    first_time_ns: int
    last_time_ns: int
    ranks: _containers.RepeatedScalarFieldContainer[int]
    tokens: int
    text: str
    events: int
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ..., kind: _Optional[str] = ..., label: _Optional[str] = ..., confidence: _Optional[float] = ..., score: _Optional[float] = ..., keep_probability: _Optional[float] = ..., template: _Optional[str] = ..., count: _Optional[int] = ..., first_time_ns: _Optional[int] = ..., last_time_ns: _Optional[int] = ..., ranks: _Optional[_Iterable[int]] = ..., tokens: _Optional[int] = ..., text: _Optional[str] = ..., events: _Optional[int] = ...) -> None: ...

class LineClass(_message.Message):
    __slots__ = ("first", "last", "label")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    label: str
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ..., label: _Optional[str] = ...) -> None: ...

class ClassCount(_message.Message):
    __slots__ = ("label", "segments_kept", "segments_dropped", "lines_kept", "lines_dropped")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_KEPT_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_DROPPED_FIELD_NUMBER: _ClassVar[int]
    LINES_KEPT_FIELD_NUMBER: _ClassVar[int]
    LINES_DROPPED_FIELD_NUMBER: _ClassVar[int]
    label: str
    segments_kept: int
    segments_dropped: int
    lines_kept: int
    lines_dropped: int
    def __init__(self, label: _Optional[str] = ..., segments_kept: _Optional[int] = ..., segments_dropped: _Optional[int] = ..., lines_kept: _Optional[int] = ..., lines_dropped: _Optional[int] = ...) -> None: ...

class Note(_message.Message):
    __slots__ = ("stage", "what", "reason")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    stage: str
    what: str
    reason: str
    def __init__(self, stage: _Optional[str] = ..., what: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ProcessRange(_message.Message):
    __slots__ = ("process_uuid", "rank", "first", "last")
    PROCESS_UUID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    process_uuid: str
    rank: int
    first: int
    last: int
    def __init__(self, process_uuid: _Optional[str] = ..., rank: _Optional[int] = ..., first: _Optional[int] = ..., last: _Optional[int] = ...) -> None: ...

class JobState(_message.Message):
    __slots__ = ("accelerator", "model", "user", "world_size", "started_ns", "ended_ns", "outcome", "exit_code", "reason", "first_time_ns", "last_time_ns", "parts")
    ACCELERATOR_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    WORLD_SIZE_FIELD_NUMBER: _ClassVar[int]
    STARTED_NS_FIELD_NUMBER: _ClassVar[int]
    ENDED_NS_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FIRST_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    accelerator: str
    model: str
    user: str
    world_size: int
    started_ns: int
    ended_ns: int
    outcome: str
    exit_code: int
    reason: str
    first_time_ns: int
    last_time_ns: int
    parts: int
    def __init__(self, accelerator: _Optional[str] = ..., model: _Optional[str] = ..., user: _Optional[str] = ..., world_size: _Optional[int] = ..., started_ns: _Optional[int] = ..., ended_ns: _Optional[int] = ..., outcome: _Optional[str] = ..., exit_code: _Optional[int] = ..., reason: _Optional[str] = ..., first_time_ns: _Optional[int] = ..., last_time_ns: _Optional[int] = ..., parts: _Optional[int] = ...) -> None: ...
