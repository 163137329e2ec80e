"""One phase sent by several processes, here or on other hosts: gateways, clocks, positions dealt, records merged."""
