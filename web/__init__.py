"""The workbench for people and the JSON calls of viewers, over the services of mpi and xds."""
