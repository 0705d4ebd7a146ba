// WebSockets over HTTP/2 (RFC 8441): from node's client, with frames by hand, and a server that takes them.
'use strict';

const { h2Server } = require('./http2');
const { OPCODE, Raw, closeFrame, frame } = require('./raw');
const { event } = require('./wait');

// An extended CONNECT on a session of h2Connect(); resolves with {status, headers, raw}: `raw` is the stream as a Raw.
async function h2WebSocket(session, path, { headers = {}, ms = 5000 } = {}) {
  const stream = session.request({
    ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'http', ':authority': 'h', ':path': path, 'sec-websocket-version': '13', ...headers,
  });
  stream.on('error', () => {});
  const raw = new Raw(stream);
  const [fields] = await event(stream, 'response', ms);
  if (fields[':status'] !== 200) stream.end();
  return { status: fields[':status'], headers: fields, raw, stream };
}

// Sends text, masked, and returns the payload of the next frame.
async function askText(raw, text) {
  raw.write(frame({ payload: text, mask: true }));
  return (await raw.frame()).payload.toString();
}

// What a server does with a WebSocket's frames: messages come back, a close is answered.
async function echo(raw) {
  for (;;) {
    const f = await raw.frame(1e6);
    if (f.opcode === OPCODE.ping) raw.write(frame({ opcode: OPCODE.pong, payload: f.payload }));
    else if (f.opcode === OPCODE.close) {
      raw.write(f.code ? closeFrame(f.code, f.reason) : frame({ opcode: OPCODE.close }));
      raw.finish();
      return;
    } else raw.write(frame({ opcode: f.opcode, fin: f.fin, payload: f.payload }));
  }
}

// A server that announces RFC 8441 and serves it with `serve(raw, headers)`; requests of other kinds get 200. `.asked` has the fields.
async function h2WebSocketServer(scene, { serve = (raw) => echo(raw).catch(() => {}), status = 200, headers = {}, announces = true, ...options } = {}) {
  const asked = [];
  const h = await h2Server(scene, (stream, fields) => {
    if (fields[':protocol'] !== 'websocket') {
      stream.respond({ ':status': 200 });
      stream.end('plain');
      return;
    }
    asked.push(fields);
    stream.respond({ ':status': status, ...headers }, { endStream: status !== 200 });
    if (status === 200) serve(new Raw(stream), fields);
  }, { ...options, settings: { enableConnectProtocol: announces } });
  return Object.assign(h, { asked });
}

module.exports = { askText, h2WebSocket, h2WebSocketServer };
