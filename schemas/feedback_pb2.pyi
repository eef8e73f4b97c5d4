from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Feedback(_message.Message):
    __slots__ = ("id", "request_id", "trace_id", "segment_ids", "experiment_arm", "name", "score", "label", "flag", "explanation", "correction", "annotator_kind", "time_ns", "keep_probability")
    ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_IDS_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_ARM_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    CORRECTION_FIELD_NUMBER: _ClassVar[int]
    ANNOTATOR_KIND_FIELD_NUMBER: _ClassVar[int]
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    KEEP_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    id: str
    request_id: str
    trace_id: str
    segment_ids: _containers.RepeatedScalarFieldContainer[str]
    experiment_arm: str
    name: str
    score: float
    label: str
    flag: bool
    explanation: str
    correction: str
    annotator_kind: str
    time_ns: int
    keep_probability: float
    def __init__(self, id: _Optional[str] = ..., request_id: _Optional[str] = ..., trace_id: _Optional[str] = ..., segment_ids: _Optional[_Iterable[str]] = ..., experiment_arm: _Optional[str] = ..., name: _Optional[str] = ..., score: _Optional[float] = ..., label: _Optional[str] = ..., flag: bool = ..., explanation: _Optional[str] = ..., correction: _Optional[str] = ..., annotator_kind: _Optional[str] = ..., time_ns: _Optional[int] = ..., keep_probability: _Optional[float] = ...) -> None: ...
