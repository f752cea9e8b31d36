# SPDX-License-Identifier: Apache-2.0
"""A proxy between a client and a daemon that loses answers: what the client sent was done."""

import socket
import struct
import threading

import raw


class Proxy:
    """Cuts the connection in place of each `lose`th answer to Produce. The daemon may come back at
    another port: it is asked for its port at each connection."""

    def __init__(self, daemon, lose):
        self.daemon = daemon
        self.lose = lose
        self.answers = self.lost = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return f'127.0.0.1:{self.port}'

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(('127.0.0.1', self.daemon.port))
            except OSError:
                client.close()
                continue
            produces = set()
            for pump, one, two in ((self._up, client, server), (self._down, server, client)):
                threading.Thread(target=self._pump, args=(pump, one, two, produces), daemon=True).start()

    @staticmethod
    def _pump(pump, one, two, produces):
        try:
            pump(one, two, produces)
        except OSError:
            pass
        for each in (one, two):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    @staticmethod
    def _frame(stream):
        head = b''
        while len(head) < 4:
            more = stream.recv(4 - len(head))
            if not more:
                raise OSError('the end')
            head += more
        body = b''
        while len(body) < struct.unpack('>i', head)[0]:
            more = stream.recv(struct.unpack('>i', head)[0] - len(body))
            if not more:
                raise OSError('the end')
            body += more
        return head, body

    def _up(self, client, server, produces):
        while True:
            head, body = self._frame(client)
            api, _, correlation = struct.unpack('>hhi', body[:8])
            if api == raw.PRODUCE:
                produces.add(correlation)
            server.sendall(head + body)

    def _down(self, server, client, produces):
        host = b'127.0.0.1'
        while True:
            head, body = self._frame(server)
            if struct.unpack('>i', body[:4])[0] in produces:
                with self.lock:
                    self.answers += 1
                    if self.answers % self.lose == 0:
                        self.lost += 1
                        raise OSError('lost')
            body = body.replace(host + struct.pack('>i', self.daemon.port),
                                host + struct.pack('>i', self.port))
            client.sendall(head + self._change(body, produces))

    def _change(self, body, _):
        """An answer as it is given on, as long as it was."""
        return body
