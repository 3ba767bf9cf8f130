'use strict';
module.exports = { writePlot: async () => {} };
