// Tokens that nobody verifies: the example region reads when they expire and believes it.
'use strict';

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
let count = 0;

// One that expires in so many seconds; no two are the same.
function token(seconds = 3600) {
  count += 1;
  return [part({ alg: 'HS256', typ: 'JWT' }), part({ role: 'authenticated', jti: String(count), exp: Math.floor(Date.now() / 1000) + seconds }), 'signature'].join('.');
}

module.exports = { token };
