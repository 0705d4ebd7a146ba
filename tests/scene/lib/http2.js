// node's HTTP/2 client and server, with deadlines and an end.
'use strict';

const http2 = require('node:http2');
const { event, within } = require('./wait');

// A session to `url`.
async function h2Connect(scene, url, options = {}) {
  const session = http2.connect(url, { rejectUnauthorized: false, ...options });
  scene.atEnd(() => session.destroy());
  session.on('error', () => {});
  await event(session, 'remoteSettings');
  return session;
}

// The whole answer of a stream: {status, headers, body (Buffer)}; rejects when it is reset.
async function h2Answer(stream, ms = 10000) {
  const parts = [];
  const ended = new Promise((resolve, reject) => {
    stream.once('error', reject);
    stream.once('close', () => (stream.rstCode === 0 ? resolve() : reject(new Error(`the stream was reset with ${stream.rstCode}`))));
    stream.once('response', (headers) => {
      stream.answer = { status: headers[':status'], headers };
    });
    stream.on('data', (part) => parts.push(part));
  });
  await within(ms, 'the end of the stream', ended);
  return { ...stream.answer, body: Buffer.concat(parts) };
}

// One request on a session.
function h2Ask(session, { path = '/', method = 'GET', headers = {}, body, ms } = {}) {
  const stream = session.request({ ':path': path, ':method': method, ...headers }, { endStream: body === undefined });
  const answer = h2Answer(stream, ms);
  if (body !== undefined) stream.end(body);
  return answer;
}

// A server whose streams are handed to `serve(stream, headers)`; `tls`: {cert, key} as text. {port, url, server, sockets, sessionCount, streamCount}.
async function h2Server(scene, serve, { tls, ...more } = {}) {
  const options = { maxSessionMemory: 1000, ...more }; // MB; with more waiting in it node resets new streams
  const server = tls ? http2.createSecureServer({ ...tls, ...options }) : http2.createServer(options);
  const h = { server, sessions: new Set(), sockets: new Set(), sessionCount: 0, streamCount: 0 };
  server.on('connection', (socket) => h.sockets.add(socket));
  server.on('session', (session) => {
    h.sessionCount++;
    h.sessions.add(session);
    session.on('error', () => {});
    session.once('close', () => h.sessions.delete(session));
  });
  server.on('stream', (stream, headers) => {
    h.streamCount++;
    stream.on('error', () => {});
    serve(stream, headers);
  });
  server.on('sessionError', () => {});
  server.listen(0, '127.0.0.1');
  await event(server, 'listening');
  scene.atEnd(() => {
    for (const session of h.sessions) session.destroy();
    for (const socket of h.sockets) socket.destroy();
    server.close();
  });
  h.port = server.address().port;
  h.url = `${tls ? 'https' : 'http'}://127.0.0.1:${h.port}`;
  return h;
}

module.exports = { h2Answer, h2Ask, h2Connect, h2Server };
