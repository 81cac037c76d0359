package strings

import (
	"testing"

	"hyperkv/internal/testkit"
)

func TestTranscripts(t *testing.T) {
	testkit.RunTranscripts(t, "testdata/*.txt",
		testkit.Redis(t), newHandlers(t, 1, nil), newHandlers(t, 3, nil))
}
