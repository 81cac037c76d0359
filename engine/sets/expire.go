package sets

import "hyperkv/engine"

var expiring = []engine.Command{}
