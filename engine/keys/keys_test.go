package keys

import (
	"testing"

	"hyperkv/engine"
	"hyperkv/engine/strings"
	"hyperkv/internal/familykit"
	"hyperkv/internal/testkit"
)

// containers hold the rows of this package that stand under commands of the server
// family, which knows this one and so cannot be here itself.
var containers = engine.Family{Name: "containers", Commands: []engine.Command{
	{Name: "DEBUG", Arity: -2, Subcommands: []engine.Command{DebugObject}},
	{Name: "MEMORY", Arity: -2, Subcommands: []engine.Command{MemoryUsage}},
}}

// handlers are this family beside that of the strings.
func handlers(t *testing.T, o familykit.Options) *familykit.Handlers {
	t.Helper()
	return familykit.NewHandlers(t, o, Family, containers, strings.Family)
}

func TestTranscripts(t *testing.T) {
	testkit.RunTranscripts(t, "testdata/*.txt", testkit.Redis(t),
		handlers(t, familykit.Options{Shards: 1}), handlers(t, familykit.Options{Shards: 3}))
}
