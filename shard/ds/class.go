package ds

import "math/bits"

// Size classes: steps of 8 bytes up to 512, then eight steps per doubling
// (at most 12.5 % of slack) up to 32 KiB. Every class above 512 is a multiple
// of 64, so that structures of whole cache lines stay aligned.
const (
	classStep     = 8
	classFineMax  = 512
	classFine     = classFineMax / classStep // classes 0..63: 8, 16, … 512
	classDoubling = 8
	classCount    = classFine + 6*classDoubling

	// SlotBytesMax is the largest object that shares a slab with others.
	SlotBytesMax = 32 << 10
)

// classOf returns the class of the smallest slot that holds n bytes.
func classOf(n int) int {
	if n <= classFineMax {
		return max(n-1, 0) / classStep
	}
	// n-1 has its top bit at position shift+3; the three bits below it choose
	// the step within the doubling.
	shift := bits.Len(uint(n-1)) - 4
	return classFine + (shift-6)*classDoubling + (n-1)>>shift - classDoubling
}

// classBytes returns the slot size of a class.
func classBytes(class int) int {
	if class < classFine {
		return (class + 1) * classStep
	}
	class -= classFine
	return (classDoubling + 1 + class%classDoubling) << (6 + class/classDoubling)
}

// SlotBytes returns what an object of n bytes occupies in an Arena.
func SlotBytes(n int) int {
	if n > SlotBytesMax {
		return int(roundUp(uintptr(n), pageBytes))
	}
	return classBytes(classOf(n))
}
