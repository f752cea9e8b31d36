# SPDX-License-Identifier: Apache-2.0
"""A proxy between a client and a daemon that loses or changes answers: what the client sent was done."""

import socket
import struct
import threading

import raw


class Proxy:
    """Cuts the connection in place of each `lose`th answer to `api` (0: of none). The daemon may come back
    at another port: it is asked for its port at each connection."""

    api = raw.PRODUCE

    def __init__(self, daemon, lose=0):
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
            kept = set()
            for pump, one, two in ((self._up, client, server), (self._down, server, client)):
                threading.Thread(target=self._pump, args=(pump, one, two, kept), daemon=True).start()

    @staticmethod
    def _pump(pump, one, two, kept):
        try:
            pump(one, two, kept)
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

    def _up(self, client, server, kept):
        while True:
            head, body = self._frame(client)
            api, _, correlation = struct.unpack('>hhi', body[:8])
            self._see(api, body)
            if api == self.api:
                kept.add(correlation)
            server.sendall(head + body)

    def _down(self, server, client, kept):
        host = b'127.0.0.1'
        while True:
            head, body = self._frame(server)
            ours = struct.unpack('>i', body[:4])[0] in kept
            if ours:
                with self.lock:
                    self.answers += 1
                    if self.lose and self.answers % self.lose == 0:
                        self.lost += 1
                        raise OSError('lost')
            body = body.replace(host + struct.pack('>i', self.daemon.port),
                                host + struct.pack('>i', self.port))
            client.sendall(head + (self._change(body) if ours else body))

    def _see(self, api, body):
        """A request, of any API, before it is given on."""

    def _change(self, body):
        """An answer to `api` as it is given on, as long as it was."""
        return body
