package embedded

import (
	"hyperkv/engine"
	"hyperkv/engine/bitmap"
	"hyperkv/engine/connection"
	"hyperkv/engine/geo"
	"hyperkv/engine/hashes"
	"hyperkv/engine/hyperloglog"
	"hyperkv/engine/keys"
	"hyperkv/engine/lists"
	"hyperkv/engine/server"
	"hyperkv/engine/sets"
	"hyperkv/engine/sorting"
	"hyperkv/engine/streams"
	"hyperkv/engine/strings"
	"hyperkv/engine/zsets"
)

// Families are all commands of HyperKV.
func Families() []engine.Family {
	return []engine.Family{
		strings.Family,
		bitmap.Family,
		lists.Family,
		hashes.Family,
		sets.Family,
		zsets.Family,
		hyperloglog.Family,
		geo.Family,
		keys.Family,
		sorting.Family,
		streams.Family,
		server.Family,
		connection.Family,
		engine.Transactions,
	}
}
