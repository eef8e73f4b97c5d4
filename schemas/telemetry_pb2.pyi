from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Accelerator(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACCELERATOR_UNSPECIFIED: _ClassVar[Accelerator]
    ACCELERATOR_TPU: _ClassVar[Accelerator]
    ACCELERATOR_GPU: _ClassVar[Accelerator]
    ACCELERATOR_CPU: _ClassVar[Accelerator]

class Stream(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STREAM_UNSPECIFIED: _ClassVar[Stream]
    STREAM_STDOUT: _ClassVar[Stream]
    STREAM_STDERR: _ClassVar[Stream]
    STREAM_LOGGING: _ClassVar[Stream]
    STREAM_API: _ClassVar[Stream]
    STREAM_FILE: _ClassVar[Stream]

class DType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DTYPE_UNSPECIFIED: _ClassVar[DType]
    DTYPE_FLOAT32: _ClassVar[DType]
    DTYPE_FLOAT64: _ClassVar[DType]
    DTYPE_FLOAT16: _ClassVar[DType]
    DTYPE_BFLOAT16: _ClassVar[DType]
    DTYPE_INT64: _ClassVar[DType]
    DTYPE_INT32: _ClassVar[DType]
    DTYPE_UINT32: _ClassVar[DType]
ACCELERATOR_UNSPECIFIED: Accelerator
ACCELERATOR_TPU: Accelerator
ACCELERATOR_GPU: Accelerator
ACCELERATOR_CPU: Accelerator
STREAM_UNSPECIFIED: Stream
STREAM_STDOUT: Stream
STREAM_STDERR: Stream
STREAM_LOGGING: Stream
STREAM_API: Stream
STREAM_FILE: Stream
DTYPE_UNSPECIFIED: DType
DTYPE_FLOAT32: DType
DTYPE_FLOAT64: DType
DTYPE_FLOAT16: DType
DTYPE_BFLOAT16: DType
DTYPE_INT64: DType
DTYPE_INT32: DType
DTYPE_UINT32: DType

class TelemetryBatch(_message.Message):
    __slots__ = ("job_id", "process_uuid", "sequence", "created_ns", "accelerator", "model", "user", "host", "pid", "rank", "world_size", "sender", "labels", "events")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    PROCESS_UUID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CREATED_NS_FIELD_NUMBER: _ClassVar[int]
    ACCELERATOR_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    WORLD_SIZE_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    process_uuid: str
    sequence: int
    created_ns: int
    accelerator: Accelerator
    model: str
    user: str
    host: str
    pid: int
    rank: int
    world_size: int
    sender: str
    labels: _containers.ScalarMap[str, str]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    def __init__(self, job_id: _Optional[str] = ..., process_uuid: _Optional[str] = ..., sequence: _Optional[int] = ..., created_ns: _Optional[int] = ..., accelerator: _Optional[_Union[Accelerator, str]] = ..., model: _Optional[str] = ..., user: _Optional[str] = ..., host: _Optional[str] = ..., pid: _Optional[int] = ..., rank: _Optional[int] = ..., world_size: _Optional[int] = ..., sender: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("time_ns", "log", "layers", "sparse", "metrics", "memory", "span", "start", "stop", "crash")
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    SPARSE_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    SPAN_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    CRASH_FIELD_NUMBER: _ClassVar[int]
    time_ns: int
    log: LogLine
    layers: LayerStats
    sparse: SparseActivation
    metrics: Metrics
    memory: Memory
    span: Span
    start: JobStart
    stop: JobStop
    crash: JobCrash
    def __init__(self, time_ns: _Optional[int] = ..., log: _Optional[_Union[LogLine, _Mapping]] = ..., layers: _Optional[_Union[LayerStats, _Mapping]] = ..., sparse: _Optional[_Union[SparseActivation, _Mapping]] = ..., metrics: _Optional[_Union[Metrics, _Mapping]] = ..., memory: _Optional[_Union[Memory, _Mapping]] = ..., span: _Optional[_Union[Span, _Mapping]] = ..., start: _Optional[_Union[JobStart, _Mapping]] = ..., stop: _Optional[_Union[JobStop, _Mapping]] = ..., crash: _Optional[_Union[JobCrash, _Mapping]] = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("text", "stream", "logger", "level", "rank")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    LOGGER_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    text: bytes
    stream: Stream
    logger: str
    level: int
    rank: int
    def __init__(self, text: _Optional[bytes] = ..., stream: _Optional[_Union[Stream, str]] = ..., logger: _Optional[str] = ..., level: _Optional[int] = ..., rank: _Optional[int] = ...) -> None: ...

class Vector(_message.Message):
    __slots__ = ("dtype", "shape", "data")
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    dtype: DType
    shape: _containers.RepeatedScalarFieldContainer[int]
    data: bytes
    def __init__(self, dtype: _Optional[_Union[DType, str]] = ..., shape: _Optional[_Iterable[int]] = ..., data: _Optional[bytes] = ...) -> None: ...

class LayerStats(_message.Message):
    __slots__ = ("step", "statistic", "names", "values")
    STEP_FIELD_NUMBER: _ClassVar[int]
    STATISTIC_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    step: int
    statistic: str
    names: _containers.RepeatedScalarFieldContainer[str]
    values: Vector
    def __init__(self, step: _Optional[int] = ..., statistic: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., values: _Optional[_Union[Vector, _Mapping]] = ...) -> None: ...

class SparseActivation(_message.Message):
    __slots__ = ("step", "name", "shape", "indices", "values")
    STEP_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    INDICES_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    step: int
    name: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    indices: Vector
    values: Vector
    def __init__(self, step: _Optional[int] = ..., name: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ..., indices: _Optional[_Union[Vector, _Mapping]] = ..., values: _Optional[_Union[Vector, _Mapping]] = ...) -> None: ...

class Metric(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: float
    def __init__(self, name: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...

class Metrics(_message.Message):
    __slots__ = ("step", "metrics")
    STEP_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    step: int
    metrics: _containers.RepeatedCompositeFieldContainer[Metric]
    def __init__(self, step: _Optional[int] = ..., metrics: _Optional[_Iterable[_Union[Metric, _Mapping]]] = ...) -> None: ...

class Memory(_message.Message):
    __slots__ = ("device", "used_bytes", "reserved_bytes", "peak_bytes", "limit_bytes")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    RESERVED_BYTES_FIELD_NUMBER: _ClassVar[int]
    PEAK_BYTES_FIELD_NUMBER: _ClassVar[int]
    LIMIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    device: str
    used_bytes: int
    reserved_bytes: int
    peak_bytes: int
    limit_bytes: int
    def __init__(self, device: _Optional[str] = ..., used_bytes: _Optional[int] = ..., reserved_bytes: _Optional[int] = ..., peak_bytes: _Optional[int] = ..., limit_bytes: _Optional[int] = ...) -> None: ...

class Span(_message.Message):
    __slots__ = ("name", "category", "start_ns", "duration_ns", "device", "error")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    START_NS_FIELD_NUMBER: _ClassVar[int]
    DURATION_NS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    name: str
    category: str
    start_ns: int
    duration_ns: int
    device: str
    error: str
    def __init__(self, name: _Optional[str] = ..., category: _Optional[str] = ..., start_ns: _Optional[int] = ..., duration_ns: _Optional[int] = ..., device: _Optional[str] = ..., error: _Optional[str] = ...) -> None: ...

class JobStart(_message.Message):
    __slots__ = ("argv", "cwd", "versions", "config")
    class VersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class ConfigEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ARGV_FIELD_NUMBER: _ClassVar[int]
    CWD_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    argv: _containers.RepeatedScalarFieldContainer[str]
    cwd: str
    versions: _containers.ScalarMap[str, str]
    config: _containers.ScalarMap[str, str]
    def __init__(self, argv: _Optional[_Iterable[str]] = ..., cwd: _Optional[str] = ..., versions: _Optional[_Mapping[str, str]] = ..., config: _Optional[_Mapping[str, str]] = ...) -> None: ...

class JobStop(_message.Message):
    __slots__ = ("exit_code", "reason")
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    exit_code: int
    reason: str
    def __init__(self, exit_code: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class JobCrash(_message.Message):
    __slots__ = ("exit_code", "signal", "exception_type", "message", "traceback", "reported_by")
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    EXCEPTION_TYPE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TRACEBACK_FIELD_NUMBER: _ClassVar[int]
    REPORTED_BY_FIELD_NUMBER: _ClassVar[int]
    exit_code: int
    signal: int
    exception_type: str
    message: str
    traceback: str
    reported_by: str
    def __init__(self, exit_code: _Optional[int] = ..., signal: _Optional[int] = ..., exception_type: _Optional[str] = ..., message: _Optional[str] = ..., traceback: _Optional[str] = ..., reported_by: _Optional[str] = ...) -> None: ...
