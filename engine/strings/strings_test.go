package strings

import (
	"testing"

	"hyperkv/engine/keys"
	"hyperkv/internal/familykit"
	"hyperkv/internal/testkit"
)

// handlers are this family beside that of the keys.
func handlers(t *testing.T, o familykit.Options) *familykit.Handlers {
	t.Helper()
	return familykit.NewHandlers(t, o, Family, keys.Family)
}

func TestTranscripts(t *testing.T) {
	testkit.RunTranscripts(t, "testdata/*.txt", testkit.Redis(t),
		handlers(t, familykit.Options{Shards: 1}), handlers(t, familykit.Options{Shards: 3}))
}
