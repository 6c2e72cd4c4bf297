# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""A gRPC server that has never heard of ASP.NET Core. Messages are bytes."""

import os
import signal
from concurrent import futures

import grpc


def unary(message, context):
    context.set_trailing_metadata([("x-tail", "end")])
    return message + b"!"


def server_stream(message, context):
    yield from (b"%d" % i for i in range(int(message)))


def client_stream(messages, context):
    return b"%d" % sum(int(m) for m in messages)


def duplex(messages, context):
    for message in messages:
        yield message + b"?"


def fail(message, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")


METHODS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
    "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
    "Duplex": grpc.stream_stream_rpc_method_handler(duplex),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
}


class Anywhere(grpc.GenericRpcHandler):
    """The service below whatever prefix it is mounted at."""

    def service(self, call):
        return METHODS.get(call.method.rsplit("/", 1)[1])


server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[Anywhere()])
server.add_insecure_port("127.0.0.1:" + os.environ["PORT"])
server.start()
signal.signal(signal.SIGTERM, lambda *_: server.stop(2))
server.wait_for_termination()
