"""Benchmark folders from images: is a classifier's answer the same in a ball around each of them?"""
