'use strict';

// For `--require`, in front of the recorder.

require('./brackets.cjs').openBrackets();
