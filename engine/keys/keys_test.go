package keys

import (
	"testing"

	"hyperkv/internal/testkit"
	"hyperkv/shard"
)

func TestTranscripts(t *testing.T) {
	testkit.RunTranscripts(t, "testdata/*.txt",
		testkit.Redis(t), newHandlers(t, 1, shard.Hooks{}), newHandlers(t, 3, shard.Hooks{}))
}
