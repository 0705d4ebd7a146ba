'use strict';
// The origin behind caches: answers 1 KiB that may be kept for an hour, and counts who asks. Paths below /slow/ take their
// time. It is not in the way of what is measured, so it lives in this process.
const http = require('node:http');

const BODY = Buffer.alloc(1024, 'x');
const SLOW_MS = 200;

class Origin {
  static async open() {
    const origin = new Origin();
    origin.count = 0;
    origin.server = http.createServer({ keepAliveTimeout: 3600000 }, (request, response) => origin.#answer(request, response));
    await new Promise((resolve) => origin.server.listen(0, '127.0.0.1', resolve));
    origin.port = origin.server.address().port;
    return origin;
  }

  #answer(request, response) {
    this.count++;
    const head = { 'Content-Type': 'text/plain', 'Content-Length': BODY.length, 'Cache-Control': 'max-age=3600' };
    const answer = () => response.writeHead(200, head).end(BODY);
    if (request.url.startsWith('/slow/')) setTimeout(answer, SLOW_MS);
    else answer();
  }

  async close() {
    this.server.closeAllConnections?.();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

// Asks once, as the load testers do; the answer is the origin's or it throws.
function ask(port, url, tls) {
  const { request } = tls ? require('node:https') : http;
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: url, agent: false, rejectUnauthorized: false, headers: { Accept: '*/*' } };
    const asked = request(options, async (response) => {
      const pieces = [];
      for await (const piece of response) pieces.push(piece);
      if (response.statusCode === 200 && Buffer.concat(pieces).equals(BODY)) resolve();
      else reject(new Error(`port ${port}: ${url}: status ${response.statusCode}, not the origin's answer`));
    });
    asked.on('error', reject);
    asked.end();
  });
}

module.exports = { Origin, ask, SLOW_MS };
