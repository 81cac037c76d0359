package embedded

import (
	"hyperkv/engine"
	"hyperkv/engine/bitmap"
	"hyperkv/engine/connection"
	"hyperkv/engine/hashes"
	"hyperkv/engine/keys"
	"hyperkv/engine/server"
	"hyperkv/engine/sets"
	"hyperkv/engine/strings"
)

// Families are all commands of HyperKV.
func Families() []engine.Family {
	return []engine.Family{
		strings.Family,
		bitmap.Family,
		hashes.Family,
		sets.Family,
		keys.Family,
		server.Family,
		connection.Family,
		engine.Transactions,
	}
}
