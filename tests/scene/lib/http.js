// Small HTTP requests on loopback, one connection each.
'use strict';

const http = require('node:http');

// Resolves with {status, headers, text, json}; `json` is undefined when the body is none.
function request({ port, path = '/', method = 'GET', headers = {}, body, ms = 5000, host = '127.0.0.1' }) {
  return new Promise((resolve, reject) => {
    const data = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    const req = http.request(
      { host, port, path, method, agent: false, headers: { ...(data ? { 'content-length': Buffer.byteLength(data) } : {}), ...headers } },
      (res) => {
        const parts = [];
        res.on('data', (part) => parts.push(part));
        res.on('error', reject);
        res.on('end', () => {
          const text = Buffer.concat(parts).toString();
          let json;
          try {
            json = JSON.parse(text);
          } catch {
            // not JSON: the caller has the text
          }
          resolve({ status: res.statusCode, headers: res.headers, text, json });
        });
      },
    );
    req.setTimeout(ms, () => req.destroy(new Error(`${method} ${path}: no answer within ${ms} ms`)));
    req.on('error', reject);
    req.end(data);
  });
}

const get = (port, path, options = {}) => request({ ...options, port, path });

module.exports = { request, get };
