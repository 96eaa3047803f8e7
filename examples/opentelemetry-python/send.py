"""Metrics, logs and traces of two services, sent with the OpenTelemetry SDK.

    python send.py http 127.0.0.1:9099 TOKEN
    python send.py grpc 127.0.0.1:4317 TOKEN
    python send.py grpc localhost:4317 "" FOLDER     TLS: the authority is FOLDER/ca.crt, the sender's
                                                     certificate FOLDER/agent.crt with its agent.key
"""

import logging
import pathlib
import sys

from opentelemetry import trace
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

protocol, address, token = sys.argv[1:4]
certificates = pathlib.Path(sys.argv[4]) if len(sys.argv) > 4 else None
headers = {"authorization": f"Bearer {token}"} if token else {}

if protocol == "http":
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    def options(signal):
        return {
            "endpoint": f"http://{address}/v1/{signal}",
            "headers": headers,
            "compression": Compression.Gzip,
        }
else:
    import grpc
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    def channel():
        if certificates is None:
            return {"endpoint": f"http://{address}", "insecure": True}
        read = lambda name: (certificates / name).read_bytes()
        credentials = grpc.ssl_channel_credentials(read("ca.crt"), read("agent.key"), read("agent.crt"))
        return {"endpoint": f"https://{address}", "credentials": credentials}

    def options(signal):
        return {"headers": headers, "compression": grpc.Compression.Gzip, **channel()}


def resource(service):
    return Resource.create({"service.name": service, "host.name": "web-1.example.com"})


readers = PeriodicExportingMetricReader(OTLPMetricExporter(**options("metrics")), 60_000)
meters = MeterProvider([readers], resource=resource("shop"))
meters.get_meter("example").create_counter("orders", unit="1").add(3, {"kind": "gift"})
meters.get_meter("example").create_histogram("order.value", unit="EUR").record(42.5)
meters.shutdown()

logs = LoggerProvider(resource=resource("shop"))
logs.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(**options("logs"))))
logger = logging.getLogger("example")
logger.addHandler(LoggingHandler(logger_provider=logs))
logger.error("payment refused for order %d", 7)
logs.shutdown()


def tracer(service):
    provider = TracerProvider(resource=resource(service))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(**options("traces"))))
    return provider


shop, pay = tracer("shop"), tracer("pay")
with shop.get_tracer("example").start_as_current_span("order", kind=trace.SpanKind.CLIENT):
    with pay.get_tracer("example").start_as_current_span("charge", kind=trace.SpanKind.SERVER):
        pass
shop.shutdown()
pay.shutdown()
