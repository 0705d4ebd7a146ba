'use strict';
// Requests that are passed on: HTTP/1.1 in the clear and over TLS, HTTP/2.
const { sideBySide, ofHandshake } = require('./compare.js');

const HTTP_CONNECTIONS = [50, 500];
const HTTP2 = { connections: 10, streams: 32 };

const KEY = 'round_trips_per_second';

async function http(stage, names, options) {
  for (const connections of HTTP_CONNECTIONS) {
    const title = `HTTP/1.1 requests, answers of 1 KiB, ${connections} kept connections with one request under way each, one worker`;
    const how = { id: `http-${connections}`, what: 'http', title, connections, key: KEY };
    await sideBySide(stage, names, options, how, (port) =>
      stage.load(port, ['--http', '--connections', connections, '--warm-up', 1, '--seconds', options.seconds]));
  }
}

async function https(stage, names, options) {
  for (const connections of HTTP_CONNECTIONS) {
    const title = `HTTP/1.1 over TLS 1.3, answers of 1 KiB, ${connections} kept connections, one worker`;
    const how = { id: `https-${connections}`, what: 'https', title, connections, isSecure: true, key: KEY };
    await sideBySide(stage, names, options, how, (port) =>
      stage.load(port, ['--http', '--tls', '--connections', connections, '--warm-up', 1, '--seconds', options.seconds]));
  }
  for (const [kind, more] of [['full', []], ['resumed', ['--resume']]]) {
    const title = `TLS 1.3 connections with a ${kind} handshake (ECDSA P-256): opened, one request, closed; 50 at a time, one worker`;
    const extra = [...ofHandshake, ['resumed', 'resumed_share', (share) => `${Math.round(100 * share)} %`]];
    const how = { id: `https-${kind}`, what: `https, ${kind}`, title, connections: 2000, isSecure: true, key: 'cycles_per_second', extra };
    await sideBySide(stage, names, options, how, async (port) => {
      const result = await stage.load(port, [
        '--http', '--tls', '--mode', 'churn', '--connections', 50, '--sources', 20, '--seconds', options.seconds, ...more,
      ]);
      return { ...result, resumed_share: result.resumed / result.opened };
    });
  }
}

async function h2(stage, names, options) {
  const { connections, streams } = HTTP2;
  const title = `HTTP/2 over TLS 1.3, answers of 1 KiB, ${connections} connections with ${streams} streams each, one worker`;
  const how = { id: 'h2', what: 'h2', title, connections: connections * streams, isSecure: true, key: KEY, extra: [] };
  await sideBySide(stage, names, options, how, (port) => stage.loadHttp2(port, { ...HTTP2, seconds: options.seconds }));
}

module.exports = { http, https, h2, HTTP_CONNECTIONS, HTTP2 };
