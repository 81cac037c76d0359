package embedded

import (
	"hyperkv/engine"
	"hyperkv/engine/bitmap"
	"hyperkv/engine/connection"
	"hyperkv/engine/geo"
	"hyperkv/engine/hyperloglog"
	"hyperkv/engine/keys"
	"hyperkv/engine/server"
	"hyperkv/engine/strings"
	"hyperkv/engine/zsets"
)

// Families are all commands of HyperKV.
func Families() []engine.Family {
	return []engine.Family{
		strings.Family,
		bitmap.Family,
		zsets.Family,
		hyperloglog.Family,
		geo.Family,
		keys.Family,
		server.Family,
		connection.Family,
		engine.Transactions,
	}
}
