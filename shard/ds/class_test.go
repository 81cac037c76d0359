package ds

import "testing"

func TestClassesCoverEverySize(t *testing.T) {
	for n := 1; n <= SlotBytesMax; n++ {
		class := classOf(n)
		if class < 0 || class >= classCount {
			t.Fatalf("classOf(%d) = %d", n, class)
		}
		size := classBytes(class)
		if size < n || class > 0 && classBytes(class-1) >= n {
			t.Fatalf("%d bytes got class %d of %d bytes", n, class, size)
		}
		if n > classFineMax && (size-n)*8 > size {
			t.Fatalf("%d bytes waste too much in a slot of %d", n, size)
		}
		if size > classFineMax && size%64 != 0 {
			t.Fatalf("class of %d bytes breaks cache lines", size)
		}
	}
	if got := classBytes(classCount - 1); got != SlotBytesMax {
		t.Fatalf("the last class holds %d bytes", got)
	}
}
