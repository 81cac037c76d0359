package connection

import (
	"testing"

	"hyperkv/internal/testkit"
)

func TestTranscripts(t *testing.T) {
	one := startServer(t, map[string]string{"worker_threads": "1"}).target()
	three := startServer(t, map[string]string{"worker_threads": "3"}).target()
	testkit.RunTranscripts(t, "testdata/*.txt", testkit.Redis(t), one, three, testkit.Burst(three))
}
