"""What one would write first: five values of each GPU by NVML, on a page. Needs nothing but Python.

The library is named by the environment variable NVML; the address is printed. Every request is one look.
"""

import ctypes
import http.server
import os

nvml = ctypes.CDLL(os.environ["NVML"])


class Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class Utilization(ctypes.Structure):
    _fields_ = [("gpu", ctypes.c_uint), ("memory", ctypes.c_uint)]


def ask(name, *arguments):
    """Whether the GPU tells it."""
    return getattr(nvml, name)(*arguments) == 0


def samples(index):
    handle = ctypes.c_void_p()
    if not ask("nvmlDeviceGetHandleByIndex_v2", index, ctypes.byref(handle)):
        return
    utilization, memory, number = Utilization(), Memory(), ctypes.c_uint()
    if ask("nvmlDeviceGetUtilizationRates", handle, ctypes.byref(utilization)):
        yield "gpu_utilization_percent", utilization.gpu
    if ask("nvmlDeviceGetMemoryInfo", handle, ctypes.byref(memory)):
        yield "gpu_memory_used_bytes", memory.used
        yield "gpu_memory_total_bytes", memory.total
    if ask("nvmlDeviceGetTemperature", handle, 0, ctypes.byref(number)):
        yield "gpu_temperature_celsius", number.value
    if ask("nvmlDeviceGetPowerUsage", handle, ctypes.byref(number)):
        yield "gpu_power_usage_watts", number.value / 1000


def page():
    count = ctypes.c_uint()
    ask("nvmlDeviceGetCount_v2", ctypes.byref(count))
    lines = [
        f'{name}{{gpu_id="{index}"}} {value}\n' for index in range(count.value) for name, value in samples(index)
    ]
    return "".join(lines).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = page()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


nvml.nvmlInit_v2()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("127.0.0.1:%d" % server.server_port, flush=True)
server.serve_forever()
