package disk

func probe(args []string) int { return 0 }
