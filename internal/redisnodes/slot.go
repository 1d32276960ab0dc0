package redisnodes

import "strings"

// Slots is how many slots a Cluster has.
const Slots = 16384

// Slot gives the slot of a key: CRC16 (XMODEM) of what stands between the first
// { and the next }, or of the whole key. Source: Redis Cluster specification,
// "Key distribution model" and "Hash tags".
func Slot(key string) int {
	if _, rest, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(rest, "}"); ok && tag != "" {
			key = tag
		}
	}
	var crc uint16
	for i := range len(key) {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^key[i]]
	}
	return int(crc % Slots)
}

var crcTable = makeTable(0x1021)

func makeTable(polynomial uint16) (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			crc <<= 1
			if carry {
				crc ^= polynomial
			}
		}
		table[i] = crc
	}
	return table
}
