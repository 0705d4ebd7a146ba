'use strict';

module.exports = {
  ...require('./wait'),
  ...require('./process'),
  ...require('./proc'),
  ...require('./metrics'),
  ...require('./http'),
  ...require('./raw'),
  ...require('./region'),
  ...require('./gateway'),
  ...require('./clients'),
  ...require('./pools'),
  ...require('./blackhole'),
  ...require('./authority'),
  ...require('./origin'),
  ...require('./caching'),
  ...require('./h2raw'),
  ...require('./http2'),
  ...require('./h2websocket'),
  ...require('./tools'),
  ...require('./scene'),
};
